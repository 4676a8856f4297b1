/* Words to the service manager that started this process: systemd's sd_notify(3), which is one datagram. */
#ifndef INVOICEGATE_BASE_NOTIFY_H
#define INVOICEGATE_BASE_NOTIFY_H

/* "READY=1", "STOPPING=1", ... Nothing happens where nobody asked to be told, or where it cannot be told. */
void notify(const char *state);

#endif
