#include "detect/protocol.h"

#include <string.h>
#include <strings.h>

const char *const protocol_names[PROTOCOL_COUNT] = {"another protocol", "FTP", "SMTP", "SSH",
						    "WebDAV",           "SMB"};

static const struct {
	const char *word;
	uint8_t protocol;
} words[] = {
    {"ftp", PROTOCOL_FTP},         {"ftp-data", PROTOCOL_FTP}, {"ftp_data", PROTOCOL_FTP},
    {"ftp_control", PROTOCOL_FTP}, {"ftps", PROTOCOL_FTP},     {"smtp", PROTOCOL_SMTP},
    {"smtps", PROTOCOL_SMTP},      {"ssh", PROTOCOL_SSH},      {"webdav", PROTOCOL_WEBDAV},
    {"smb", PROTOCOL_SMB},         {"smbv1", PROTOCOL_SMB},    {"smbv23", PROTOCOL_SMB},
};

static const struct {
	uint16_t port;
	uint8_t protocol;
} ports[] = {{20, PROTOCOL_FTP},   {21, PROTOCOL_FTP},   {990, PROTOCOL_FTP}, {25, PROTOCOL_SMTP},
	     {465, PROTOCOL_SMTP}, {587, PROTOCOL_SMTP}, {22, PROTOCOL_SSH},  {445, PROTOCOL_SMB}};

/* nDPI joins words with dots: "HTTP.WebDAV". */
static enum protocol by_words(const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, ".");
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (strlen(words[i].word) == n && !strncasecmp(words[i].word, text, n))
				return words[i].protocol;
		text += n + (text[n] == '.');
	}
	return PROTOCOL_OTHER;
}

static bool unknown(const char *word)
{
	return !word || !*word || !strcasecmp(word, "unknown") || !strcasecmp(word, "failed");
}

enum protocol protocol_of(const struct flow_facts *f)
{
	enum protocol p = by_words(f->app_proto);
	if (p == PROTOCOL_OTHER)
		p = by_words(f->ndpi_protocol);
	if (p != PROTOCOL_OTHER || !unknown(f->app_proto) || !unknown(f->ndpi_protocol) || f->proto != 6)
		return p;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		if (f->dst.port == ports[i].port)
			return ports[i].protocol;
	return p;
}
