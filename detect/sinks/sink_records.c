/* sink_records: records as lines into a file or standard output, in the format that was asked for. Kind "eve". */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "detect/sinks/record.h"
#include "detect/sinks/sinks.h"

enum { WRITE_AT_BYTES = 1 << 18 };

struct sink {
	int fd;
	bool owned;
	unsigned records;
	const struct record_format *format;
	struct record_conf conf;
	struct jsonout lines;
	char target[512];
	int failed; /* sticky; told once by the call that met it, again at close */
};

static int write_all(struct sink *s)
{
	size_t done = 0;
	if (s->lines.failed)
		s->failed = -ENOMEM;
	while (!s->failed && done < s->lines.n) {
		ssize_t n = write(s->fd, s->lines.text + done, s->lines.n - done);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) /* standard output shared with one who made it non-blocking */
			poll(&(struct pollfd){.fd = s->fd, .events = POLLOUT}, 1, 1000);
		else if (n < 0 && errno != EINTR)
			s->failed = -errno;
	}
	jsonout_clear(&s->lines);
	return s->failed;
}

static int written(struct sink *s)
{
	return s->lines.n >= WRITE_AT_BYTES || s->lines.failed ? write_all(s) : s->failed;
}

/* A record file is created or truncated; a link, device or pipe planted in its place is refused; /dev/null is
 * nobody's plant. */
static int open_target(struct sink *s, const char *target, struct err *err)
{
	if (!strcmp(target, "-")) {
		s->fd = STDOUT_FILENO;
		return 0;
	}
	s->fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (s->fd < 0)
		return err_set(err, -errno, "%s: %s", target, errno == ELOOP ? "a symbolic link is not followed" : strerror(errno));
	struct stat st = {0};
	bool is_null = !fstat(s->fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
	if (!S_ISREG(st.st_mode) && !is_null) {
		close(s->fd);
		return err_set(err, -EINVAL, "%s: not a regular file", target);
	}
	s->owned = true;
	return 0;
}

static int records_open(struct sink **ret_s, const struct sink_conf *conf, struct err *err)
{
	struct sink *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, -ENOMEM, "no memory for output");
	s->format = record_format_find(conf->format);
	if (!s->format) {
		free(s);
		return err_set(err, LT_EUSAGE, "no format %s", conf->format);
	}
	if (conf->records == SINK_STATS && !s->format->stats) {
		free(s);
		return err_set(err, LT_EUSAGE, "format %s has no stats records: nothing would be written", conf->format);
	}
	s->records = conf->records;
	s->conf = (struct record_conf){.sensor = conf->sensor, .zone = conf->zone};
	snprintf(s->target, sizeof s->target, "%s", conf->target);
	int r = open_target(s, conf->target, err);
	if (r) {
		free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}

static int records_flow(struct sink *s, const struct verdict *v)
{
	if (!(s->records & SINK_FLOW))
		return 0;
	s->format->flow(&s->lines, &s->conf, v);
	return written(s);
}

static int records_finding(struct sink *s, const struct finding *f)
{
	if (!(s->records & SINK_ALERT))
		return 0;
	s->format->finding(&s->lines, &s->conf, f);
	return written(s);
}

static int records_attribution(struct sink *s, const struct sink_attribution *a)
{
	if (!(s->records & SINK_ATTRIBUTION) || !s->format->attribution)
		return 0;
	s->format->attribution(&s->lines, &s->conf, a);
	return written(s);
}

static int records_stats(struct sink *s, const struct sink_stats *st)
{
	if (!(s->records & SINK_STATS) || !s->format->stats)
		return 0;
	s->format->stats(&s->lines, &s->conf, st);
	return written(s);
}

static int records_tick(struct sink *s, uint64_t now_ns)
{
	(void)now_ns;
	return s->lines.n ? write_all(s) : s->failed;
}

static int records_close(struct sink *s, struct err *err)
{
	int r = write_all(s);
	if (s->owned && close(s->fd) && !r)
		r = -errno;
	if (r)
		err_set(err, r, "%s: %s", s->target, lt_strerror(r));
	jsonout_done(&s->lines);
	free(s);
	return r;
}

const struct sink_ops sink_records = {
	.kind = "eve",
	.open = records_open,
	.flow = records_flow,
	.finding = records_finding,
	.attribution = records_attribution,
	.stats = records_stats,
	.tick = records_tick,
	.close = records_close,
};
