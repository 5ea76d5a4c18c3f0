# Starts a program as a service manager does: with sockets from descriptor 3 on.
# perl activate.pl KINDS NAMES COMMAND...   KINDS: t (listens on TCP), u (a UDP socket); LISTEN_PID is left alone if set
use strict;
use Socket;
use POSIX ();

my ($kinds, $names, @command) = @ARGV;
$^F = 100; # let programs inherit
my @sockets = map {
    my $type = $_ eq 't' ? SOCK_STREAM : SOCK_DGRAM;
    socket(my $socket, PF_INET, $type, 0) or die "socket: $!";
    bind($socket, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
    listen($socket, 10) if $_ eq 't';
    $socket;
} split //, $kinds;
# Out of the way first: one of them may stand where another one has to go.
my @copies = map { POSIX::dup(fileno $_) } @sockets;
POSIX::dup2($copies[$_], 50 + $_) for 0 .. $#copies;
POSIX::dup2(50 + $_, 3 + $_) for 0 .. $#copies;
POSIX::close($_) for 3 + @copies .. 60;
$ENV{LISTEN_PID} //= $$;
$ENV{LISTEN_FDS} //= scalar @copies;
$ENV{LISTEN_FDNAMES} = $names if $names ne '';
exec @command or die "exec: $!";
