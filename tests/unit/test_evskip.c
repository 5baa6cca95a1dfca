#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/evskip.h"

static char source[65536];

static const char *load(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot read %s", path);
	size_t n = fread(source, 1, sizeof source - 1, f);
	fclose(f);
	assert_true(n > 1000);
	source[n] = '\0';
	return source;
}

/* A name in the list that a reader asks for would silently be absent. */
static void names__in_the_list__no_reader_asks_for_them(void **state)
{
	static const char *const readers[] = {"dissect/ev_mde.c", "dissect/ev_windows.c",
					      "dissect/ev_sysmon.c", "dissect/ev_security.c",
					      "dissect/evparse.c"};
	(void)state;
	for (size_t r = 0; r < sizeof readers / sizeof *readers; r++) {
		const char *text = load(readers[r]);
		for (size_t n = 0; n <= EVSKIP_MAX_KEY; n++)
			for (size_t i = 0; i < EVSKIP_PER_LENGTH && evskip_names[n][i]; i++) {
				char quoted[EVSKIP_MAX_KEY + 3], dotted[EVSKIP_MAX_KEY + 3];
				snprintf(quoted, sizeof quoted, "\"%s\"", evskip_names[n][i]);
				snprintf(dotted, sizeof dotted, ".%s\"", evskip_names[n][i]);
				if (strstr(text, quoted) || strstr(text, dotted))
					fail_msg("%s reads %s", readers[r], evskip_names[n][i]);
			}
	}
}

static void names__each_in_the_place_of_its_length(void **state)
{
	(void)state;
	size_t count = 0;
	for (size_t n = 0; n <= EVSKIP_MAX_KEY; n++)
		for (size_t i = 0; i < EVSKIP_PER_LENGTH && evskip_names[n][i]; i++, count++) {
			assert_int_equal(strlen(evskip_names[n][i]), n);
			assert_true(evskip_has(evskip_names[n][i], n));
		}
	assert_true(count > 60);
	assert_false(evskip_has("EventID", 7));
	assert_false(evskip_has("", 0));
	assert_false(evskip_has("a name that is longer than every name in the list", 49));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names__in_the_list__no_reader_asks_for_them),
	    cmocka_unit_test(names__each_in_the_place_of_its_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
