/* The settings of carteiro.conf: lines of the form `name = value`, `# comment`, empty lines.
 *
 * What settings there are, with their defaults and their documentation, is in config/settings.def and nowhere else. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/network.h"

#include <netinet/in.h>

enum {
	CONFIG_FILE_BYTES_MOST = 64 * 1024,
	CONFIG_LINE_BYTES_MOST = 4096,
	CONFIG_ERRORS_MOST = 50,      /* a person reads them */
	CONFIG_LISTENERS_MOST = 64,   /* over all protocols that run */
	CONFIG_NETWORKS_MOST = 64,    /* in one setting */
	CONFIG_TABLES_MOST = 32,
	CONFIG_MILTERS_MOST = 16,     /* each message goes through all of them, one after the other */
};

/* In the order of the words in `protocols`. */
enum config_protocol {
	CONFIG_SMTP,
	CONFIG_LMTP,
	CONFIG_SUBMISSION,
	CONFIG_SUBMISSIONS,
	CONFIG_IMAP,
	CONFIG_IMAPS,
	CONFIG_POP3,
	CONFIG_POP3S,
};

enum { CONFIG_PROTOCOLS = 8 };
/* Not one that is configured: SMTP for the programs of this machine, on the socket run_dir/submit. */
enum { CONFIG_LOCAL = CONFIG_PROTOCOLS, CONFIG_LOCAL_IMAP };

enum sender_checks { SENDER_CHECKS_OFF, SENDER_CHECKS_REPORT, SENDER_CHECKS_OBEY };
enum milter_default { MILTER_DEFAULT_TEMPFAIL, MILTER_DEFAULT_ACCEPT, MILTER_DEFAULT_REJECT };
enum default_language { DEFAULT_LANGUAGE_EN, DEFAULT_LANGUAGE_PT };
enum plaintext_login { PLAINTEXT_LOGIN_OFF, PLAINTEXT_LOGIN_LOOPBACK, PLAINTEXT_LOGIN_ON };

struct config_listener {
	enum config_protocol protocol;
	char address[INET6_ADDRSTRLEN]; /* never a name; with "::", a second listener has "0.0.0.0": use IPV6_V6ONLY */
	uint16_t port;
	bool is_tls; /* from the first byte */
};

struct config_resolver {
	char address[INET6_ADDRSTRLEN]; /* empty: the system's */
	uint16_t port;
};

struct config_networks {
	struct network list[CONFIG_NETWORKS_MOST];
	size_t count;
};

/* The field that a setting becomes, by its kind. Texts are never NULL. */
#define CONFIG_FIELD_TEXT(name) char *name;
#define CONFIG_FIELD_HOSTNAME(name) char *name;
#define CONFIG_FIELD_MAILBOX(name) char *name;
#define CONFIG_FIELD_NEXT_HOP(name) char *name;
#define CONFIG_FIELD_MILTERS(name) char *name;   /* words, each a socket: wire/milter.h */
#define CONFIG_FIELD_DNS_LISTS(name) char *name; /* words, each a list: wire/dns_list.h */
#define CONFIG_FIELD_DOMAINS(name) char *name; /* words: config_domains_have */
#define CONFIG_FIELD_PROGRAMS(name) char *name; /* words, each a path: program_is_allowed (wire/program.h) */
#define CONFIG_FIELD_TABLES(name) char *name;    /* table_name_next takes its words: wire/table.h */
#define CONFIG_FIELD_PATH(name) char *name;
#define CONFIG_FIELD_ADDRESS(name) char *name;
#define CONFIG_FIELD_FLAG(name) bool name;
#define CONFIG_FIELD_NUMBER(name) uint32_t name;
#define CONFIG_FIELD_SIZE(name) uint64_t name##_bytes;
#define CONFIG_FIELD_DURATION(name) uint64_t name##_s;
#define CONFIG_FIELD_PROTOCOLS(name) unsigned name; /* bit 1 << enum config_protocol: config_offers */
#define CONFIG_FIELD_LISTEN(name)                   /* goes to `listeners` */
#define CONFIG_FIELD_RESOLVER(name) struct config_resolver name;
#define CONFIG_FIELD_NETWORKS(name) struct config_networks name;
#define CONFIG_FIELD_CHOICE(name) enum name name;

struct config {
#define GROUP(title)
#define SETTING(kind, name, ...) CONFIG_FIELD_##kind(name)
#include "config/settings.def"
#undef GROUP
#undef SETTING
	/* Of the protocols that are offered only. */
	struct config_listener listeners[2 * CONFIG_LISTENERS_MOST]; /* those of protocols that do not run are read too */
	size_t listeners_count;
};

struct config_errors {
	struct error at[CONFIG_ERRORS_MOST]; /* text: "carteiro.conf:3: what, and what to do"; offset: of the line */
	size_t count;
};

/* Reads the text of a file; `file_name` is for the errors only. Nothing is looked up and no file is opened.
 *
 * Returns 0 with *out to be freed; or -1 with *out empty and every fault, up to CONFIG_ERRORS_MOST, in *errors, whose
 * old content is forgotten. */
int config_parse(struct span text, const char *file_name, struct config *out, struct config_errors *errors);

/* The settings of an empty file. */
void config_defaults(struct config *out);
void config_free(struct config *c);

/* Puts what depends on this machine into the settings that were left empty: hostname, and origin
 * from it; tls_certificate, tls_key and drop_dir from data_dir. -1 with *why if the system's name is not fully qualified. */
int config_complete(struct config *c, struct error *why);

/* True if the address, as text, is in one of them. */
bool config_networks_have(const struct config_networks *networks, struct span address);

/* True if the domain, in A-labels, is one of a setting of domains. */
bool config_domains_have(const char *setting, struct span domain);

static inline bool config_offers(const struct config *c, enum config_protocol protocol)
{
	return (c->protocols >> protocol & 1U) != 0;
}

/* Appends where the keys that sign mail lie: keys/dkim in data_dir. */
void config_dkim_keys_path(const struct config *c, struct buf *out);

/* "smtp", as it stands in the file. */
const char *config_protocol_name(enum config_protocol protocol);

/* The documentation: docs/configuration.md, and carteiro.conf(5) in the man macros. */
void config_print_markdown(struct buf *out);
void config_print_man(struct buf *out);

#endif
