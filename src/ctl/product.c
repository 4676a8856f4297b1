#include "ctl/commands.h"
const struct command product_commands[] = {COMMANDS_END};
