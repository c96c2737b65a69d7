/* All commands of the IMAP server: in which states each is allowed, its RFC, its handler. */
#include "edge/imap/session.h"

/* RFC 3501 §6 unless it says otherwise. */
static const struct imap_command commands[] = {
	/* any state */
	{"CAPABILITY", IMAP_ANY_STATE, 0, "§6.1.1", imap_capability},
	{"NOOP", IMAP_ANY_STATE, 0, "§6.1.2", imap_noop},
	{"LOGOUT", IMAP_ANY_STATE, 0, "§6.1.3", imap_logout},
	{"LANGUAGE", IMAP_ANY_STATE, 0, "RFC 5255", imap_language},
	{"ID", IMAP_ANY_STATE, 0, "RFC 2971", imap_id},
	/* before login */
	{"STARTTLS", IMAP_NOT_AUTHENTICATED, 0, "§6.2.1", imap_starttls},
	{"AUTHENTICATE", IMAP_NOT_AUTHENTICATED, 0, "§6.2.2, RFC 4959", imap_authenticate},
	{"LOGIN", IMAP_NOT_AUTHENTICATED, 0, "§6.2.3", imap_login},
	/* after login */
	{"ENABLE", IMAP_LOGGED_IN, 0, "RFC 5161", imap_enable},
	{"UNAUTHENTICATE", IMAP_LOGGED_IN, 0, "RFC 8437", imap_unauthenticate},
	{"COMPRESS", IMAP_LOGGED_IN, 0, "RFC 4978", imap_compress},
	{"SELECT", IMAP_LOGGED_IN, 0, "§6.3.1", imap_select},
	{"EXAMINE", IMAP_LOGGED_IN, 0, "§6.3.2", imap_examine},
	{"CREATE", IMAP_LOGGED_IN, 0, "§6.3.3", imap_create},
	{"DELETE", IMAP_LOGGED_IN, 0, "§6.3.4", imap_delete},
	{"RENAME", IMAP_LOGGED_IN, 0, "§6.3.5", imap_rename},
	{"SUBSCRIBE", IMAP_LOGGED_IN, 0, "§6.3.6", imap_subscribe},
	{"UNSUBSCRIBE", IMAP_LOGGED_IN, 0, "§6.3.7", imap_unsubscribe},
	{"LIST", IMAP_LOGGED_IN, 0, "§6.3.8, RFC 5258, RFC 6154", imap_list},
	{"LSUB", IMAP_LOGGED_IN, 0, "§6.3.9", imap_lsub},
	{"STATUS", IMAP_LOGGED_IN, 0, "§6.3.10, RFC 8438", imap_status},
	{"APPEND", IMAP_LOGGED_IN, 0, "§6.3.11, RFC 3502, RFC 4469", imap_append},
	{"NAMESPACE", IMAP_LOGGED_IN, 0, "RFC 2342", imap_namespace},
	{"ESEARCH", IMAP_LOGGED_IN, 0, "RFC 7377", imap_esearch},
	{"ESEARCH", IMAP_LOGGED_IN, IMAP_ONLY_UID, "RFC 7377 §2.1, whose example says UID ESEARCH: it is the same", imap_esearch},
	{"IDLE", IMAP_LOGGED_IN, 0, "RFC 2177", imap_idle},
	{"NOTIFY", IMAP_LOGGED_IN, 0, "RFC 5465", imap_notify},
	{"GETMETADATA", IMAP_LOGGED_IN, 0, "RFC 5464", imap_getmetadata},
	{"SETMETADATA", IMAP_LOGGED_IN, 0, "RFC 5464", imap_setmetadata},
	{"GETACL", IMAP_LOGGED_IN, 0, "RFC 4314", imap_getacl},
	{"SETACL", IMAP_LOGGED_IN, 0, "RFC 4314", imap_setacl},
	{"DELETEACL", IMAP_LOGGED_IN, 0, "RFC 4314", imap_deleteacl},
	{"LISTRIGHTS", IMAP_LOGGED_IN, 0, "RFC 4314", imap_listrights},
	{"MYRIGHTS", IMAP_LOGGED_IN, 0, "RFC 4314", imap_myrights},
	{"GETQUOTA", IMAP_LOGGED_IN, 0, "RFC 9208", imap_getquota},
	{"GETQUOTAROOT", IMAP_LOGGED_IN, 0, "RFC 9208", imap_getquotaroot},
	{"SETQUOTA", IMAP_LOGGED_IN, 0, "RFC 9208", imap_setquota},
	/* of an import */
	{"X-MAILBOX", IMAP_LOGGED_IN, IMAP_ADMINISTRATOR, "import.c", imap_import_mailbox},
	{"X-SOURCES", IMAP_LOGGED_IN, IMAP_ADMINISTRATOR, "import.c", imap_import_sources},
	/* with a mailbox */
	{"CHECK", IMAP_SELECTED, 0, "§6.4.1", imap_check},
	{"CLOSE", IMAP_SELECTED, 0, "§6.4.2", imap_close},
	{"UNSELECT", IMAP_SELECTED, 0, "RFC 3691", imap_unselect},
	{"EXPUNGE", IMAP_SELECTED, 0, "§6.4.3", imap_expunge},
	{"EXPUNGE", IMAP_SELECTED, IMAP_ONLY_UID, "RFC 4315 §2.1", imap_uid_expunge},
	{"SEARCH", IMAP_SELECTED, IMAP_HAS_UID | IMAP_NO_EXPUNGE, "§6.4.4", imap_search},
	{"SORT", IMAP_SELECTED, IMAP_HAS_UID | IMAP_NO_EXPUNGE, "RFC 5256, RFC 5267", imap_sort},
	{"THREAD", IMAP_SELECTED, IMAP_HAS_UID | IMAP_NO_EXPUNGE, "RFC 5256", imap_thread},
	{"CANCELUPDATE", IMAP_SELECTED, 0, "RFC 5267 §4.3.5", imap_cancel_update},
	{"FETCH", IMAP_SELECTED, IMAP_HAS_UID | IMAP_NO_EXPUNGE, "§6.4.5", imap_fetch},
	{"STORE", IMAP_SELECTED, IMAP_HAS_UID | IMAP_NO_EXPUNGE, "§6.4.6", imap_store},
	{"REPLACE", IMAP_SELECTED, IMAP_HAS_UID, "RFC 8508", imap_replace},
	{"COPY", IMAP_SELECTED, IMAP_HAS_UID, "§6.4.7", imap_copy},
	{"MOVE", IMAP_SELECTED, IMAP_HAS_UID, "RFC 6851", imap_move},
};

const struct imap_command *imap_command_find(struct span name, bool is_uid)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const struct imap_command *c = &commands[i];
		bool is_form = is_uid ? c->flags & (IMAP_HAS_UID | IMAP_ONLY_UID) : !(c->flags & IMAP_ONLY_UID);
		if (is_form && span_equal_nocase(name, span_cstr(c->name)))
			return c;
	}
	return NULL;
}
