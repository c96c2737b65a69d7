/* relay: the SMTP client. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

/* The process; `control` is its channel to master. */
int relay_main(unsigned index, int control);

#endif
