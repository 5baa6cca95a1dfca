/* err: error codes and the one carrier of error text.
 *
 * Functions return 0, a negative errno, or one of LT_E* (below -1000). Errors are for the operator;
 * what traffic does wrong is a verdict and a counter, never an error. */
#ifndef LEAKTAP_CAPTURE_BASE_ERR_H
#define LEAKTAP_CAPTURE_BASE_ERR_H

#define ERR_LIST(X)                                                                                            \
	X(LT_EFORMAT, -1001, "not a format this program reads")                                                \
	X(LT_ETRUNCATED, -1002, "input ends in the middle of a record")                                        \
	X(LT_ESCHEMA, -1003, "a required field is missing or has the wrong type")                              \
	X(LT_EUSAGE, -1004, "wrong usage")                                                                     \
	X(LT_ECONF, -1005, "wrong configuration")                                                              \
	X(LT_EZONE, -1006, "times carry no zone and none was given")                                           \
	X(LT_EREDIS, -1007, "Redis refused or failed")                                                         \
	X(LT_EGONE, -1008, "the interface or server went away")                                                \
	X(LT_EUNSUPPORTED, -1009, "not supported by this build")                                               \
	X(LT_EFILTER, -1010, "the packet filter does not compile")

enum err_code {
#define X(name, value, text) name = value,
	ERR_LIST(X)
#undef X
};

/* Owned by the caller, usually on the stack; text is one line, printable, cut at the end if too long. */
struct err {
	int code;
	char text[512];
};

/* Fills err (which may be NULL) and returns code, so that "return err_set(...)" works. Any thread. */
__attribute__((format(printf, 3, 4))) int err_set(struct err *err, int code, const char *fmt, ...);

/* Static text of an LT_E* or negative errno. */
const char *lt_strerror(int code);

#endif
