/* ingest: endpoint events into Redis, no packets. */
#ifndef LEAKTAP_DETECT_APP_INGEST_H
#define LEAKTAP_DETECT_APP_INGEST_H

#include "detect/app/cli.h"

/* Files and standard input are read to their end. With a directory, a Redis key or a Kafka topic among the sources it runs until
 * SIGINT or SIGTERM and follows the files too; what Redis has stored is remembered in a checkpoint and not read again. Returns the
 * exit code. */
int ingest_main(const struct cli *cli);

#endif
