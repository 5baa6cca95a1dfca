/* ja4_lines: for tests/ja4_oracle.py. Per line of input a transport letter, a space and a ClientHello message
 * in hexadecimal; per line of output its JA4 and its name, or "malformed". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/hello.h"

enum { MAX_MESSAGE = 65536 };

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);
	return c && at ? (int)(at - digits) : -1;
}

int main(void)
{
	static char line[2 * MAX_MESSAGE + 16];
	static uint8_t message[MAX_MESSAGE];
	while (fgets(line, sizeof line, stdin)) {
		size_t n = 0;
		struct hello hello;
		for (const char *p = line + 2; n < MAX_MESSAGE && digit(p[0]) >= 0 && digit(p[1]) >= 0;
		     p += 2)
			message[n++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
		if (n < 4 || !hello_parse(message + 4, n - 4, line[0], &hello))
			puts("malformed");
		else
			printf("%s %s\n", hello.ja4, hello.sni);
	}
	return 0;
}
