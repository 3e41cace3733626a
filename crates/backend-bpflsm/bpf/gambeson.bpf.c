/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Gambeson's enforcement programs. Each hook says which events of the decision model it carries; the
 * files below it, from `judge.h` to `scratch.h`, are what they share.
 */
#include "hooks_exec.h"
#include "hooks_file.h"
#include "hooks_mount.h"
#include "hooks_path.h"
#include "hooks_socket.h"
#include "hooks_task.h"
#include "test.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
