/* Clients of an agency: whom invoices are made out to. The commands of this noun are spread over files. */
#ifndef INVOICEGATE_CTL_CLIENT_H
#define INVOICEGATE_CTL_CLIENT_H

#include "ctl/ctl.h"

#define CLIENT_ID_BYTES_MAX 255
#define CLIENT_NAME_BYTES_MAX 200

/* Reads --agency and makes sure that it has that client; opens the database. */
enum ctl_exit client_required(struct ctl *ctl, const char *client_id, int64_t *agency_id) MUST_CHECK;
/* Says that there is no such client and where to look. */
enum ctl_exit client_missing(int64_t agency_id, const char *client_id);

enum ctl_exit client_show(struct ctl *ctl);
enum ctl_exit client_erase_preview(struct ctl *ctl);
enum ctl_exit client_import(struct ctl *ctl);

#endif
