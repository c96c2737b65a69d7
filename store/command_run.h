/* One command that is being carried out, between the files that do: store/command.c and its sisters. Everyone else uses
 * store/command.h. */
#ifndef STORE_COMMAND_RUN_H
#define STORE_COMMAND_RUN_H

#include "store/command.h"
#include "store/directory/directory.h"

/* Exit codes of sysexits.h that people's scripts know. */
enum { CODE_OK = 0, CODE_REFUSED = 1, CODE_USAGE = 64, CODE_NO_USER = 67, CODE_BROKEN = 70, CODE_LATER = 75 };

struct command_run {
	struct command_run *next;
	void (*asked)(struct command_run *c); /* by a process, not by a person: its words are no command's */
	uint64_t account; /* that it is about */
	uint64_t erase;   /* an account whose data go once it is out of the directory */
	uint64_t locked_out; /* an account whose sessions end when the change is on the disk */
	const char *locked_out_why;
	uint64_t master_ended;   /* an account that is no master user any more then */
	struct span app_ended;   /* the digest of an application's password that is none any more then, */
	uint64_t app_ended_of;   /* and of which account */
	struct span renewed; /* whose password's hash is another one, or who has keys for SCRAM, when the change is on the disk */
	const char *renewed_event;
	int scram_missing; /* accounts without keys for SCRAM that there are more of then */
	struct store *store;
	peer_id master;
	uint64_t id;
	struct span *words;
	size_t count;
	struct arena arena;
	struct buf text;  /* said so far */
	struct batch batch;
	struct job job;   /* of one that reads the whole store */
	struct table_look look; /* of one that tells where an address leads */
	uint64_t grant;    /* the number of its question to vault */
	struct span granted; /* and whose name is in it */
	bool is_elsewhere; /* another thread, or a table that is asked, is at it, and finishes it */
	uint8_t code;
};

/* Says what is wrong, and what the command's exit code is. */
void command_fail(struct command_run *c, uint8_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Of a command that was elsewhere: tells what it has said, and frees it. */
void command_finish(struct command_run *c);
/* The canonical form of a word, or an empty span after saying what is wrong with it. */
struct span command_name(struct command_run *c, size_t word, bool is_domain);

/* The account of a word; false after saying that there is none. */
bool command_find_user(struct command_run *c, size_t word, struct span *name, struct directory_entry *entry);
/* What something is set for: an address, "*@domain" for each user of a domain, or, of a domain's name, "@domain". Empty after saying what is
 * wrong with it. */
struct span command_target(struct command_run *c, size_t word, bool may_be_domain);

/* False after saying that the address's domain is not one of ours. */
bool command_is_in_our_domain(struct command_run *c, struct span address);

/* store/command_app.c */
void user_app(struct command_run *c);

/* store/command_user.c */
void user_add(struct command_run *c);
void user_held(struct command_run *c);
void user_list(struct command_run *c);
void user_passwd(struct command_run *c);
void user_purge(struct command_run *c);
void user_release(struct command_run *c);
void user_remove(struct command_run *c);
void user_renew(struct command_run *c); /* asked by vault: words are the old hash, the new one, and SCRAM's keys */
void user_revoke(struct command_run *c);
void user_set(struct command_run *c);
void user_show(struct command_run *c);

/* store/command_acl.c */
void acl_list(struct command_run *c);
void acl_remove(struct command_run *c);
void acl_set(struct command_run *c);

/* store/command_quota.c */
void quota_set(struct command_run *c);
void quota_unset(struct command_run *c);
void quota_show(struct command_run *c);
void quota_list(struct command_run *c);

/* store/command_mailbox.c */
void restore_list(struct command_run *c);
void restore_some(struct command_run *c);
void expire_set(struct command_run *c);
void expire_unset(struct command_run *c);
void expire_list(struct command_run *c);
void expire_run(struct command_run *c);
void verify_some(struct command_run *c);
/* store/command_grant.c */
void grant(struct command_run *c);

/* store/command_backup.c: for cli/backup.c */
void backup_begin(struct command_run *c);
void backup_end(struct command_run *c);

/* store/command_report.c */
void report_tls(struct command_run *c);

/* store/command_domain.c */
void domain_add(struct command_run *c);
void domain_list(struct command_run *c);
void domain_remove(struct command_run *c);
void route_add(struct command_run *c);
void route_list(struct command_run *c);
void route_remove(struct command_run *c);
void route_show(struct command_run *c);

#endif
