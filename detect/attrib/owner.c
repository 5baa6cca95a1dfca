#include "detect/attrib/owner.h"

const char *const owner_outcome_names[OWNER_OUTCOME_COUNT] = {
#define X(name, text) text,
	OWNER_OUTCOMES(X)
#undef X
};

const char *const owner_cause_names[OWNER_CAUSE_COUNT] = {
#define X(name, text) text,
	OWNER_CAUSES(X)
#undef X
};
