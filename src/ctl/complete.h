/* What a shell may offer behind what is typed so far. */
#ifndef INVOICEGATE_CTL_COMPLETE_H
#define INVOICEGATE_CTL_COMPLETE_H

#include <stdio.h>

/* The words behind the program's name; the last one is being typed and may be empty. Prints the candidates,
 * one a line; the shell keeps those that begin as the last word does. */
void complete(FILE *file, int count, char **words);

#endif
