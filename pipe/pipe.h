/* pipe: hands messages to the programs of the setting `pipes`. */
#ifndef PIPE_PIPE_H
#define PIPE_PIPE_H

/* The process; `control` is its channel to master. */
int pipe_main(unsigned index, int control);

#endif
