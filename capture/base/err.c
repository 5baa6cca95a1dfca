#include "capture/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	err->code = code;
	return code;
}

const char *lt_strerror(int code)
{
	switch (code) {
#define X(name, value, text)                                                                                   \
	case name:                                                                                             \
		return text;
		ERR_LIST(X)
#undef X
	case 0:
		return "no error";
	}
	return code < 0 ? strerror(-code) : "unknown error";
}
