/* Results of a connection's calls beside SQLite's own. */
#ifndef ML_DB_SQLITE_REFUSAL_H
#define ML_DB_SQLITE_REFUSAL_H

/* SQLite's are not negative. */
enum ml_sqlite_refusal {
    ML_SQLITE_WRITES = -1,     /* the statement changes something, and the call must not */
    ML_SQLITE_EMPTY = -2,      /* the text has no statement */
    ML_SQLITE_SEVERAL = -3,    /* it has several */
    ML_SQLITE_PARAMETERS = -4, /* another number of parameters than the statement has */
    ML_SQLITE_UNNAMED = -5,   /* a parameter of the statement has no value, or none has that name */
    ML_SQLITE_LEFT_OPEN = -6, /* the statement began a transaction: it was rolled back */
    ML_SQLITE_NO_MEMORY = -7,
    ML_SQLITE_ENDED = -10, /* the transaction that the statement belongs to is not open any more */
    ML_SQLITE_NO_LIBRARY = -9,
    ML_SQLITE_GIVEN_UP = -8 /* the task was cancelled, and nothing was done */
};

#endif
