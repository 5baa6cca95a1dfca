#include "dissect/procevent.h"

const char *const procevent_kind_names[PROCEVENT_KIND_COUNT] = {
#define X(name, text) text,
	PROCEVENT_KINDS(X)
#undef X
};

const char *const procevent_source_names[PROCEVENT_SOURCE_COUNT] = {
#define X(name, text) text,
	PROCEVENT_SOURCES(X)
#undef X
};
