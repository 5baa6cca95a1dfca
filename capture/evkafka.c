/* A Kafka topic as an evinlet: the one door to librdkafka, which a build may lack. Offsets are committed to the group "leaktap" when
 * the consumer has confirmed; what was not is delivered again, to this or another member of the group. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/evinlet.h"

#ifndef LEAKTAP_KAFKA

int evkafka_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *target, struct err *err)
{
	(void)ret_in;
	(void)conf;
	return err_set(err, LT_EUNSUPPORTED, "kafka://%s: this build has no librdkafka; install librdkafka-dev and build again", target);
}

#else

#include <librdkafka/rdkafka.h>

enum { MAX_MESSAGES = 4096, CHUNK_BYTES = 1 << 20, MAX_UNDER_WAY = 65536, MAX_PARTITIONS = 1024 };

/* Up to where a chunk reached in a partition. */
struct passed {
	uint64_t number;
	int32_t partition;
	int64_t next;
};

struct evkafka {
	struct evinlet inlet; /* first */
	rd_kafka_t *rk;
	char *topic, *origin;
	struct passed *passed; /* ring of MAX_UNDER_WAY, oldest at head */
	size_t head, n_passed;
	char *text;
	size_t n_text, size_text;
	uint64_t complained_ns;
	struct evsource_stats stats;
};

static int put_option(rd_kafka_conf_t *kc, const char *key, const char *value, struct err *err)
{
	char why[256];
	if (rd_kafka_conf_set(kc, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
		return 0;
	return err_set(err, LT_EUSAGE, "kafka: %s: %s", key, why);
}

/* Lines of key=value, as librdkafka names them: where security.protocol, sasl.username and sasl.password go. */
static int read_options(rd_kafka_conf_t *kc, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	char *line = NULL;
	size_t size = 0;
	int rc = 0;
	for (ssize_t n; rc == 0 && (n = getline(&line, &size, f)) > 0;) {
		line[strcspn(line, "\r\n")] = 0;
		char *value = strchr(line, '=');
		if (!*line || *line == '#')
			continue;
		if (!value) {
			rc = err_set(err, LT_ECONF, "%s: a line without '='", path);
			break;
		}
		*value++ = 0;
		rc = put_option(kc, line, value, err);
	}
	if (line)
		explicit_bzero(line, size);
	free(line);
	fclose(f);
	return rc;
}

static void close_kafka(struct evinlet *in)
{
	struct evkafka *ek = (struct evkafka *)in;
	if (ek->rk) {
		rd_kafka_poll(ek->rk, 0);
		rd_kafka_consumer_close(ek->rk);
		rd_kafka_destroy(ek->rk);
	}
	free(ek->topic);
	free(ek->origin);
	free(ek->passed);
	free(ek->text);
	free(ek);
}

static int make_client(struct evkafka *ek, const char *brokers, const char *options, const char *consumer, struct err *err)
{
	char why[256];
	rd_kafka_conf_t *kc = rd_kafka_conf_new();
	int rc = put_option(kc, "bootstrap.servers", brokers, err);
	rc = rc ? rc : put_option(kc, "group.id", "leaktap", err);
	rc = rc ? rc : put_option(kc, "client.id", consumer, err);
	rc = rc ? rc : put_option(kc, "enable.auto.commit", "false", err);
	rc = rc ? rc : put_option(kc, "auto.offset.reset", "earliest", err);
	rc = rc ? rc : put_option(kc, "log_level", "0", err);
	if (!rc && options)
		rc = read_options(kc, options, err);
	if (!rc) {
		ek->rk = rd_kafka_new(RD_KAFKA_CONSUMER, kc, why, sizeof why);
		if (ek->rk)
			return 0;
		rc = err_set(err, LT_ECONF, "kafka: %s", why);
	}
	rd_kafka_conf_destroy(kc);
	return rc;
}

static int subscribe(struct evkafka *ek, struct err *err)
{
	rd_kafka_poll_set_consumer(ek->rk);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, ek->topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t e = rd_kafka_subscribe(ek->rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return e ? err_set(err, LT_ECONF, "%s: %s", ek->origin, rd_kafka_err2str(e)) : 0;
}

/* ---- chunks ---- */

static int add_text(struct evkafka *ek, const char *p, size_t n)
{
	if (ek->n_text + n + 1 > ek->size_text) {
		size_t size = ek->size_text ? ek->size_text : CHUNK_BYTES * 2;
		while (size < ek->n_text + n + 1)
			size *= 2;
		char *grown = realloc(ek->text, size);
		if (!grown)
			return -ENOMEM;
		ek->text = grown;
		ek->size_text = size;
	}
	if (n)
		memcpy(ek->text + ek->n_text, p, n);
	ek->n_text += n;
	if (n && p[n - 1] != '\n')
		ek->text[ek->n_text++] = '\n';
	return 0;
}

/* The chunk's entry for this partition is among the last few. */
static void pass(struct evkafka *ek, uint64_t number, int32_t partition, int64_t next)
{
	for (size_t i = ek->n_passed; i-- && ek->passed[(ek->head + i) % MAX_UNDER_WAY].number == number;) {
		struct passed *p = &ek->passed[(ek->head + i) % MAX_UNDER_WAY];
		if (p->partition == partition) {
			p->next = next;
			return;
		}
	}
	ek->passed[(ek->head + ek->n_passed++) % MAX_UNDER_WAY] = (struct passed){number, partition, next};
}

/* Brokers that are away are told of once a minute; librdkafka comes back by itself. */
static int complain(struct evkafka *ek, const char *text, struct err *err)
{
	uint64_t now = clock_monotonic_ns();
	if (ek->complained_ns && now - ek->complained_ns < 60 * CLOCK_NS_PER_S)
		return 0;
	ek->complained_ns = now;
	return err_set(err, LT_EGONE, "%s: %s", ek->origin, text);
}

static int take_message(struct evkafka *ek, const rd_kafka_message_t *m, uint64_t number, struct err *err)
{
	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		return 0;
	if (m->err)
		return complain(ek, rd_kafka_message_errstr(m), err);
	if (add_text(ek, m->payload, m->payload ? m->len : 0))
		return err_set(err, -ENOMEM, "out of memory");
	pass(ek, number, m->partition, m->offset + 1);
	return 0;
}

static int poll_topic(struct evinlet *in, uint64_t number, struct evchunk *ret, struct err *err)
{
	struct evkafka *ek = (struct evkafka *)in;
	int rc = 0;
	ek->n_text = 0;
	if (ek->n_passed + MAX_PARTITIONS > MAX_UNDER_WAY)
		return 0;
	for (int i = 0; i < MAX_MESSAGES && ek->n_text < CHUNK_BYTES && rc == 0; i++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(ek->rk, 0);
		if (!m)
			break;
		rc = take_message(ek, m, number, err);
		rd_kafka_message_destroy(m);
	}
	if (!ek->n_text)
		return rc;
	ek->stats.bytes += ek->n_text;
	*ret = (struct evchunk){.bytes = ek->text, .n = ek->n_text, .origin = ek->origin, .begins = true, .ends = true, .number = number};
	return 1;
}

static void ask_for(rd_kafka_topic_partition_list_t *list, const char *topic, const struct passed *p)
{
	rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_find(list, topic, p->partition);
	if (!tp)
		tp = rd_kafka_topic_partition_list_add(list, topic, p->partition);
	tp->offset = p->next;
}

static int confirm_topic(struct evinlet *in, uint64_t number, struct err *err)
{
	struct evkafka *ek = (struct evkafka *)in;
	if (!ek->n_passed || ek->passed[ek->head].number > number)
		return 0;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	for (; ek->n_passed && ek->passed[ek->head].number <= number; ek->n_passed--, ek->head = (ek->head + 1) % MAX_UNDER_WAY)
		ask_for(list, ek->topic, &ek->passed[ek->head]);
	/* Not waited for: a commit that fails is made good by the next, and costs a repetition at worst. */
	rd_kafka_resp_err_t e = rd_kafka_commit(ek->rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
	return e ? complain(ek, rd_kafka_err2str(e), err) : 0;
}

static void add_stats(const struct evinlet *in, struct evsource_stats *st)
{
	const struct evkafka *ek = (const struct evkafka *)in;
	st->bytes += ek->stats.bytes;
}

static const struct evinlet_ops topic_ops = {.poll = poll_topic, .confirm = confirm_topic, .stats = add_stats, .close = close_kafka};

/* brokers/topic[?config=FILE]; cuts target up. */
static int parse_target(char *target, char **ret_topic, char **ret_options, struct err *err)
{
	char *slash = strchr(target, '/'), *question = strchr(target, '?');
	*ret_options = NULL;
	if (question) {
		*question++ = 0;
		if (strncmp(question, "config=", 7) != 0 || !question[7])
			return err_set(err, LT_EUSAGE, "kafka: after '?' only config=FILE is known");
		*ret_options = question + 7;
	}
	if (!slash || slash == target || !slash[1] || strchr(slash + 1, '/') || (question && question < slash))
		return err_set(err, LT_EUSAGE, "kafka://%s: write kafka://broker[:port][,broker...]/topic", target);
	*slash = 0;
	*ret_topic = slash + 1;
	return 0;
}

int evkafka_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *target, struct err *err)
{
	struct evkafka *ek = calloc(1, sizeof *ek);
	char *brokers = strdup(target), *topic = NULL, *options = NULL;
	int rc = ek && brokers ? parse_target(brokers, &topic, &options, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc)
		goto undo;
	ek->inlet.ops = &topic_ops;
	ek->passed = calloc(MAX_UNDER_WAY, sizeof *ek->passed);
	ek->topic = strdup(topic);
	if (asprintf(&ek->origin, "kafka://%s/%s", brokers, topic) < 0)
		ek->origin = NULL;
	rc = ek->passed && ek->topic && ek->origin ? 0 : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = make_client(ek, brokers, options, conf->consumer ? conf->consumer : "leaktap", err);
	if (rc == 0)
		rc = subscribe(ek, err);
	if (rc == 0) {
		free(brokers);
		*ret_in = &ek->inlet;
		return 0;
	}
undo:
	free(brokers);
	if (ek)
		close_kafka(&ek->inlet);
	return rc;
}

#endif
