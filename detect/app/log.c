#include "detect/app/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level log_most = LOG_LEVEL_INFO;

void log_init(enum log_level most)
{
	log_most = most;
}

/* Terminals obey control bytes; whoever wrote a host name or command line may know that. */
static size_t escape(char *out, size_t size, const char *text)
{
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < size; p++) {
		if (*p >= 0x20 && *p < 0x7f)
			out[n++] = (char)*p;
		else
			n += (size_t)snprintf(out + n, size - n, "\\x%02x", *p);
	}
	return n;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const words[] = {"error: ", "warning: ", "", ""};
	if (level > log_most)
		return;
	char text[700], line[2900];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t n = (size_t)snprintf(line, sizeof line, "leaktap: %s", words[level]);
	n += escape(line + n, sizeof line - n - 1, text);
	line[n++] = '\n';
	/* One write, so that lines of two threads do not mix; there is nobody to tell when it fails. */
	ssize_t written = write(STDERR_FILENO, line, n);
	(void)written;
}
