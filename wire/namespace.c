/* Namespaces: see namespace.h. */
#include "wire/namespace.h"

static const struct span others = {NAMESPACE_OTHERS_PREFIX, sizeof NAMESPACE_OTHERS_PREFIX - 1};
static const struct span shared = {NAMESPACE_SHARED_PREFIX, sizeof NAMESPACE_SHARED_PREFIX - 1};

enum namespace namespace_of(struct span name, struct span *owner, struct span *rest)
{
	enum namespace result = span_starts_with(name, others) ? NAMESPACE_OTHERS : span_starts_with(name, shared) ? NAMESPACE_SHARED : NAMESPACE_PERSONAL;
	if (result == NAMESPACE_PERSONAL)
		return result;
	name = span_skip(name, result == NAMESPACE_OTHERS ? others.len : shared.len);
	ssize_t at = span_chr(name, '@');
	ssize_t slash = at < 0 ? -1 : span_chr(span_skip(name, (size_t)at), '/');
	size_t length = slash < 0 ? name.len : (size_t)(at + slash);
	*owner = span_slice(name, 0, length);
	*rest = span_skip(name, length + 1);
	return result;
}

bool namespace_is_reserved(struct span name)
{
	return span_starts_with(name, others) || span_starts_with(name, shared) || span_equal(name, span_slice(others, 0, others.len - 1)) ||
	       span_equal(name, span_slice(shared, 0, shared.len - 1));
}

void namespace_add_prefix(enum namespace n, struct span owner, struct buf *out)
{
	buf_add(out, n == NAMESPACE_SHARED ? shared : others);
	buf_add(out, owner);
	buf_add_char(out, '/');
}
