#include "detect/app/progress.h"

#include <stdio.h>
#include <string.h>

#include "capture/base/clock.h"

enum { TERMINAL_PER_S = 5, LINES_EVERY_S = 10 };

static void bytes_text(char *out, size_t size, double bytes)
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	int u = 0;
	for (; bytes >= 1000 && u < 4; u++)
		bytes /= 1000;
	snprintf(out, size, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
}

void progress_begin(struct progress *p, enum progress_mode mode, const char *what, uint64_t now_ns)
{
	*p = (struct progress){.mode = mode, .what = what, .began_ns = now_ns, .told_ns = now_ns};
}

bool progress_due(const struct progress *p, uint64_t now_ns)
{
	uint64_t every = p->mode == PROGRESS_TERMINAL ? CLOCK_NS_PER_S / TERMINAL_PER_S : LINES_EVERY_S * CLOCK_NS_PER_S;
	return p->mode != PROGRESS_OFF && now_ns - p->told_ns >= every;
}

static void eta_text(char *out, size_t size, double seconds, uint64_t done, uint64_t total)
{
	out[0] = '\0';
	if (!total || !done || done > total || seconds < 1)
		return;
	double left = seconds * (double)(total - done) / (double)done;
	snprintf(out, size, ", %d:%02d left", (int)left / 60, (int)left % 60);
}

void progress_tell(struct progress *p, uint64_t now_ns, uint64_t done_bytes, uint64_t total_bytes, const char *detail, bool force)
{
	if (p->mode == PROGRESS_OFF || (!force && !progress_due(p, now_ns)))
		return;
	double seconds = (double)(now_ns - p->began_ns) / (double)CLOCK_NS_PER_S;
	char done[32], total[32] = "", rate[32], eta[48], percent[16] = "";
	bytes_text(done, sizeof done, (double)done_bytes);
	bytes_text(rate, sizeof rate, seconds > 0 ? (double)done_bytes / seconds : 0);
	eta_text(eta, sizeof eta, seconds, done_bytes, total_bytes);
	if (total_bytes) {
		char t[24];
		bytes_text(t, sizeof t, (double)total_bytes);
		snprintf(total, sizeof total, " of %s", t);
		snprintf(percent, sizeof percent, "%3.0f %% ", 100.0 * (double)done_bytes / (double)total_bytes);
	}
	fprintf(stderr, "%s%s: %s%s%s, %s/s%s%s%s%s", p->mode == PROGRESS_TERMINAL ? "\r\033[K" : "leaktap: ", p->what, percent,
		done, total, rate, eta, *detail ? ", " : "", detail, p->mode == PROGRESS_TERMINAL ? "" : "\n");
	fflush(stderr);
	p->told_ns = now_ns;
	p->line_open = p->mode == PROGRESS_TERMINAL;
}

void progress_end(struct progress *p)
{
	if (p->line_open)
		fputs("\r\033[K", stderr);
	p->line_open = false;
}
