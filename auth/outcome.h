/* What a check finds, in the words of RFC 8601 §2.7. */
#ifndef AUTH_OUTCOME_H
#define AUTH_OUTCOME_H

enum auth_outcome { AUTH_NONE, AUTH_PASS, AUTH_FAIL, AUTH_SOFTFAIL, AUTH_POLICY, AUTH_NEUTRAL, AUTH_TEMPERROR, AUTH_PERMERROR };
const char *auth_outcome_word(enum auth_outcome outcome);

#endif
