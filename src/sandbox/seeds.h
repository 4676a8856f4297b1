// The products and prices that exist in every account from the start.
#pragma once

#include "sandbox/objects.h"

void seeds_plant(struct arena *arena, struct scope *scope);
