#include "auth/outcome.h"

const char *auth_outcome_word(enum auth_outcome outcome)
{
	static const char *words[] = {"none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror"};
	return words[outcome];
}
