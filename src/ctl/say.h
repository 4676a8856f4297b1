/* Lines for the operator on standard error. Control characters in what is quoted are made visible. */
#ifndef INVOICEGATE_CTL_SAY_H
#define INVOICEGATE_CTL_SAY_H

/* "invoicegatectl: " and one line, which says what is wrong and what to do next. Never a key or a password.
 */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same without the prefix: hints and progress that do not mean a failure. */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
