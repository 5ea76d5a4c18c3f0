/*
 * libpq, loaded when a script first connects to PostgreSQL. Its functions are called through a
 * table, under their own names, typed by its header.
 */
#ifndef ML_DB_POSTGRES_LIBPQ_H
#define ML_DB_POSTGRES_LIBPQ_H

#include <libpq-fe.h>

#define ML_LIBPQ_FUNCTIONS(X)                                                                      \
    X(PQbackendPID)                                                                                \
    X(PQcancel)                                                                                    \
    X(PQclear)                                                                                     \
    X(PQcmdStatus)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQconndefaults)                                                                              \
    X(PQconnectPoll)                                                                               \
    X(PQconnectStartParams)                                                                        \
    X(PQconninfoFree)                                                                              \
    X(PQconninfoParse)                                                                             \
    X(PQconsumeInput)                                                                              \
    X(PQenterPipelineMode)                                                                         \
    X(PQerrorMessage)                                                                              \
    X(PQexitPipelineMode)                                                                          \
    X(PQfinish)                                                                                    \
    X(PQflush)                                                                                     \
    X(PQfname)                                                                                     \
    X(PQfreeCancel)                                                                                \
    X(PQfreemem)                                                                                   \
    X(PQftype)                                                                                     \
    X(PQgetCancel)                                                                                 \
    X(PQgetCopyData)                                                                               \
    X(PQgetResult)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQgetlength)                                                                                 \
    X(PQgetvalue)                                                                                  \
    X(PQisBusy)                                                                                    \
    X(PQlibVersion)                                                                                \
    X(PQnfields)                                                                                   \
    X(PQnotifies)                                                                                  \
    X(PQntuples)                                                                                   \
    X(PQparameterStatus)                                                                           \
    X(PQpipelineSync)                                                                              \
    X(PQputCopyData)                                                                               \
    X(PQputCopyEnd)                                                                                \
    X(PQresultErrorField)                                                                          \
    X(PQresultErrorMessage)                                                                        \
    X(PQresultStatus)                                                                              \
    X(PQsendPrepare)                                                                               \
    X(PQsendQuery)                                                                                 \
    X(PQsendQueryParams)                                                                           \
    X(PQsendQueryPrepared)                                                                         \
    X(PQserverVersion)                                                                             \
    X(PQsetErrorVerbosity)                                                                         \
    X(PQsetNoticeReceiver)                                                                         \
    X(PQsetSingleRowMode)                                                                          \
    X(PQsetnonblocking)                                                                            \
    X(PQsocket)                                                                                    \
    X(PQsslInUse)                                                                                  \
    X(PQstatus)                                                                                    \
    X(PQtransactionStatus)

struct ml_libpq {
#define ML_LIBPQ_MEMBER(name) __typeof__(name) *(name);
    ML_LIBPQ_FUNCTIONS(ML_LIBPQ_MEMBER)
#undef ML_LIBPQ_MEMBER
};

/* Written once, by the first ml_libpq_load(); then it is a constant. */
extern struct ml_libpq ml_libpq;

/* Loads libpq; to be called before anything else here, from any thread. 0; -ELIBACC: there is no
 * libpq, or one older than 14. */
int ml_libpq_load(void);

#endif
