/* milter: asks the programs of the setting `milters` about messages. */
#ifndef MILTER_MILTER_H
#define MILTER_MILTER_H

/* The process; `control` is its channel to master. */
int milter_main(unsigned index, int control);

#endif
