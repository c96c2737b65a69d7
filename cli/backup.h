/* What the files of `carteiro backup` have from each other. */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include "cli/cli.h"

enum { EXIT_BACKUP_FAILED = 1, EXIT_BACKUP_USAGE = 64, EXIT_BACKUP_IO = 74 /* sysexits.h: EX_IOERR */ };

/* "12/345" on a terminal, over the line before; nothing elsewhere. At the end: count 0. */
void backup_progress(const char *what, size_t done, size_t count);
/* Takes "--at TIME" out of the words from `first` on; false if TIME is missing. How many words are left. */
bool backup_option(const struct cli *c, const char *name, int first, const char **value, const char **words, int *count);

/* backup_restore.c */
int backup_restore(const struct cli *c);
/* backup_extract.c */
int backup_extract(const struct cli *c);

#endif
