#!/bin/sh
# Makes certificates for the tests of TLS, good ones and bad ones, in the directory $1:
#     NAME.pem (with the intermediate ones it needs), NAME.key, and root.pem to trust.
# Every certificate is for good.example, localhost and 127.0.0.1 unless its name says otherwise.
set -eu
umask 077
cd "$1"
exec 2>log

export CA=none
now=$(date -u +%Y%m%d%H%M%SZ)
later=$(date -u -d '+30 days' +%Y%m%d%H%M%SZ)
sooner=20200101000000Z
past=20210101000000Z

cat >ca.cnf <<'CNF'
[ca]
default_ca = this
[this]
dir = $ENV::CA
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $ENV::CA.crt
private_key = $ENV::CA.key
default_md = sha256
default_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
CNF

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# database CA: where `openssl ca` keeps its books.
database() {
    mkdir -p "$1"
    : >"$1/index"
    echo 01 >"$1/serial"
    echo 01 >"$1/crlnumber"
}

request() { # name subject
    openssl req -new -config ca.cnf -key "$1.key" -subj "/CN=$2" -out "$1.csr"
}

# sign CA name start end extension-lines [more options]: NAME.crt
sign() {
    signer=$1 name=$2 start=$3 end=$4 extensions=$5
    shift 5
    printf '%s\n' "$extensions" >"$name.ext"
    CA=$signer openssl ca -batch -notext -config ca.cnf -in "$name.csr" -out "$name.crt" \
        -startdate "$start" -enddate "$end" -extfile "$name.ext" "$@"
}

ca_extensions='basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash'
names='subjectAltName = DNS:good.example, DNS:localhost, IP:127.0.0.1'
leaf="$names
basicConstraints = CA:FALSE"

root() { # name subject start end
    key "$1"
    database "$1"
    request "$1" "$2"
    sign "$1" "$1" "$3" "$4" "$ca_extensions" -selfsign -keyfile "$1.key"
    cp "$1.crt" "$1.pem"
}

intermediate() { # name CA start end extensions
    key "$1"
    database "$1"
    request "$1" "$1"
    sign "$2" "$1" "$3" "$4" "$5"
}

# leaf_of CA name start end extensions [intermediate...]: NAME.pem, the leaf first
leaf_of() {
    signer=$1 name=$2 start=$3 end=$4 extensions=$5
    shift 5
    key "$name"
    request "$name" "$name"
    sign "$signer" "$name" "$start" "$end" "$extensions"
    cp "$name.crt" "$name.pem"
    for other in "$@"; do cat "$other.crt" >>"$name.pem"; done
}

root root 'test root' "$now" "$later"
root stranger 'another root' "$now" "$later"
root oldroot 'expired root' "$sooner" "$past"
intermediate middle root "$now" "$later" "$ca_extensions"
intermediate oldmiddle root "$sooner" "$past" "$ca_extensions"
intermediate notca root "$now" "$later" "$leaf"
intermediate short root "$now" "$later" 'basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign'
intermediate below short "$now" "$later" "$ca_extensions"
intermediate narrow root "$now" "$later" "$ca_extensions
nameConstraints = critical, permitted;DNS:only.example"

leaf_of root good "$now" "$later" "$leaf"
leaf_of middle chained "$now" "$later" "$leaf" middle
leaf_of root other "$now" "$later" 'subjectAltName = DNS:b.example, DNS:*.wild.example'
leaf_of root client "$now" "$later" 'extendedKeyUsage = clientAuth'
leaf_of stranger strangerclient "$now" "$later" 'extendedKeyUsage = clientAuth'

leaf_of root expired "$sooner" "$past" "$leaf"
leaf_of root future "$(date -u -d '+10 days' +%Y%m%d%H%M%SZ)" "$later" "$leaf"
leaf_of root wrongname "$now" "$later" 'subjectAltName = DNS:elsewhere.example'
leaf_of root wrongnumber "$now" "$later" 'subjectAltName = IP:127.0.0.9'
leaf_of root cnonly "$now" "$later" 'basicConstraints = CA:FALSE'
leaf_of root wildcard "$now" "$later" 'subjectAltName = DNS:*.example'
leaf_of root partial "$now" "$later" 'subjectAltName = DNS:go*.example'
leaf_of stranger unknownroot "$now" "$later" "$leaf"
leaf_of oldroot rootexpired "$now" "$later" "$leaf"
leaf_of middle nomiddle "$now" "$later" "$leaf"
leaf_of oldmiddle middleexpired "$now" "$later" "$leaf" oldmiddle
leaf_of notca byleaf "$now" "$later" "$leaf" notca
leaf_of below toodeep "$now" "$later" "$leaf" below short
leaf_of narrow outside "$now" "$later" "$leaf" narrow
leaf_of root onlyclient "$now" "$later" "$leaf
extendedKeyUsage = clientAuth"
leaf_of root revoked "$now" "$later" "$leaf"

key selfsigned
openssl req -x509 -new -config ca.cnf -key selfsigned.key -subj /CN=good.example -days 30 \
    -addext 'subjectAltName = DNS:good.example, DNS:localhost, IP:127.0.0.1' -out selfsigned.pem

# One byte of the signature is another.
cp good.key tampered.key
openssl x509 -in good.crt -outform DER -out tampered.der
size=$(wc -c <tampered.der)
case $(tail -c 3 tampered.der | head -c 1 | od -An -tu1) in
*255*) other='\000' ;;
*) other='\377' ;;
esac
printf "$other" | dd of=tampered.der bs=1 seek=$((size - 3)) conv=notrunc
openssl x509 -inform DER -in tampered.der -out tampered.pem

# The intermediate one first, as if it were the server's own.
cp chained.key disordered.key
cat middle.crt chained.crt >disordered.pem

CA=root openssl ca -config ca.cnf -revoke revoked.crt
CA=root openssl ca -config ca.cnf -gencrl -crldays 30 -out revoked.crl
CA=root openssl ca -config ca.cnf -gencrl -crl_lastupdate "$sooner" -crl_nextupdate "$past" -out old.crl
CA=stranger openssl ca -config ca.cnf -gencrl -crldays 30 -out stranger.crl

openssl genrsa -out weak.key 1024
openssl req -x509 -new -config ca.cnf -key weak.key -subj /CN=good.example -days 30 -out weak.pem
openssl ec -in good.key -aes128 -passout pass:secret -out encrypted.key
