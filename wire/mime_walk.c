/* Walking the tree of a message: see mime.h. */
#include "wire/mime.h"

/* More numbers than there is depth name nothing. */
#define SECTION_NUMBERS_MAX 256

/* The next part with that parent at or behind `from`. In the order of headers all of a part's descendants follow it at
 * once, so the first part with an earlier parent ends the search. */
static uint32_t next_with_parent(const struct mime_tree *tree, uint32_t parent, uint32_t from)
{
	for (uint32_t i = from; i < tree->part_count; i++) {
		if (tree->parts[i].parent == parent)
			return i;
		if (tree->parts[i].parent == MIME_NO_PART || tree->parts[i].parent < parent)
			break;
	}
	return MIME_NO_PART;
}

uint32_t mime_first_child(const struct mime_tree *tree, uint32_t part)
{
	if (part >= tree->part_count)
		return MIME_NO_PART;
	return next_with_parent(tree, part, part + 1);
}

uint32_t mime_next_sibling(const struct mime_tree *tree, uint32_t part)
{
	if (part >= tree->part_count || tree->parts[part].parent == MIME_NO_PART)
		return MIME_NO_PART;
	return next_with_parent(tree, tree->parts[part].parent, part + 1);
}

static uint32_t nth_child(const struct mime_tree *tree, uint32_t part, uint32_t number)
{
	uint32_t child = number > 0 ? mime_first_child(tree, part) : MIME_NO_PART;

	for (uint32_t i = 1; i < number && child != MIME_NO_PART; i++)
		child = mime_next_sibling(tree, child);
	return child;
}

uint32_t mime_find_section(const struct mime_tree *tree, const uint32_t *numbers, size_t n)
{
	uint32_t part = 0;
	bool at_message = true; /* numbers here count the parts of the message that `part` is the root of */

	if (tree->part_count == 0 || n > SECTION_NUMBERS_MAX)
		return MIME_NO_PART;
	for (size_t i = 0; i < n; i++) {
		if (!at_message && tree->parts[part].is_message) {
			part = mime_first_child(tree, part);
			at_message = true;
			if (part == MIME_NO_PART)
				return MIME_NO_PART;
		}
		if (tree->parts[part].is_multipart)
			part = nth_child(tree, part, numbers[i]);
		else if (!at_message || numbers[i] != 1)
			return MIME_NO_PART;
		if (part == MIME_NO_PART)
			return MIME_NO_PART;
		at_message = false;
	}
	return part;
}
