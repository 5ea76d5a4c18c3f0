/*
 * The reader of answers from name servers (io/dns_records.h). The first byte of an input chooses
 * the type of record, the rest is the answer.
 */
#include "fuzz.h"

#include "base/check.h"
#include "base/error.h"
#include "io/dns_records.h"

#include <string.h>

static const enum ml_record_type types[] = {ML_RECORD_A,    ML_RECORD_NS, ML_RECORD_CNAME,
                                            ML_RECORD_PTR,  ML_RECORD_MX, ML_RECORD_TXT,
                                            ML_RECORD_AAAA, ML_RECORD_SRV};

static void check_record(const struct ml_record *record, enum ml_record_type type)
{
    if (type == ML_RECORD_A || type == ML_RECORD_AAAA) {
        ML_CHECK(record->address.size > 0 && record->text == NULL);
        return;
    }
    ML_CHECK(record->text != NULL && record->text[record->length] == '\0');
    if (type != ML_RECORD_TXT)
        ML_CHECK(record->length > 0 && strlen(record->text) == record->length);
}

/* What was found before and after sorting has to be the same. */
static uint64_t sum_of(const struct ml_records *records)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < records->count; i++)
        sum += records->items[i].ttl + (uintptr_t)records->items[i].text;
    return sum;
}

static void check_records(struct ml_records *records, enum ml_record_type type)
{
    uint64_t random = 1, sum = sum_of(records);
    ML_CHECK(records->count > 0);
    ml_records_sort(records, &random);
    ML_CHECK(sum_of(records) == sum);
    for (size_t i = 0; i < records->count; i++) {
        check_record(&records->items[i], type);
        ML_CHECK(i == 0 || records->items[i - 1].priority <= records->items[i].priority);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_records records;
    if (size == 0)
        return 0;
    enum ml_record_type type = types[data[0] % (sizeof types / sizeof *types)];
    int error = ml_records_parse(data + 1, size - 1, type, &records);
    if (error == 0)
        check_records(&records, type);
    else
        ML_CHECK(records.count == 0 && records.items == NULL &&
                 (error == -ML_ENODATA || error == -ML_EDNS_ANSWER));
    ml_records_release(&records);
    return 0;
}
