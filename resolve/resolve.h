/* resolve: asks the DNS for the others. */
#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H

/* The process; `control` is its channel to master. */
int resolve_main(unsigned index, int control);

#endif
