/* Preparations that several ways share. */
#include "actor.h"

int prepare_directory(struct act *a)
{
	char *copy = strdup(a->path), *slash = strrchr(copy, '/');

	if (!slash)
		return EINVAL;
	a->to = strdup(slash + 1);
	slash[slash == copy] = '\0';
	return said(a->fd = open(copy, O_RDONLY | O_DIRECTORY));
}

int prepare_path_only(struct act *a) { return said(a->fd = open(a->path, O_PATH)); }
