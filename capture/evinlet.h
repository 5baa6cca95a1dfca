/* evinlet: one kind of source that lasts, behind evsource. One thread. */
#ifndef LEAKTAP_CAPTURE_EVINLET_H
#define LEAKTAP_CAPTURE_EVINLET_H

#include <stdatomic.h>

#include "capture/evsource.h"

struct evinlet;

struct evinlet_ops {
	/* Like evsource_poll; never waits longer than a command to a server takes. number is what the chunk will carry. */
	int (*poll)(struct evinlet *in, uint64_t number, struct evchunk *ret_chunk, struct err *err);
	/* Called before each poll with the highest number confirmed: forgets, acknowledges, saves. Negative: it will be tried again. */
	int (*confirm)(struct evinlet *in, uint64_t number, struct err *err);
	void (*stats)(const struct evinlet *in, struct evsource_stats *st); /* adds to st */
	void (*close)(struct evinlet *in); /* after a last confirm */
};

/* Kinds embed it as their first member. */
struct evinlet {
	const struct evinlet_ops *ops;
};

/* stop and conf's redis and form are borrowed until close. */
int evfollow_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *const *paths, size_t n_paths,
		  const atomic_bool *stop, struct err *err);
int evredis_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *key, bool stream, struct err *err);
/* target: what follows "kafka://". LT_EUNSUPPORTED where the build has no librdkafka. */
int evkafka_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *target, struct err *err);

#endif
