/* Which part is played, and the actor's course. */
#include "actor.h"

static const struct way *const all_ways[] = {
	file_ways, name_ways, program_ways, socket_ways, capability_ways, room_ways, ring_ways,
};

static const struct way *find_way(const char *name)
{
	for (size_t i = 0; i < sizeof all_ways / sizeof *all_ways; i++)
		for (const struct way *way = all_ways[i]; way->name; way++)
			if (!strcmp(way->name, name))
				return way;
	return NULL;
}

int in_child(struct act *act, int (*body)(struct act *))
{
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(body(act));
	int status;
	if (waitpid(child, &status, 0) < 0)
		return errno;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	act->page->killed = WTERMSIG(status);
	return EPERM;
}

int new_memfd(void)
{
	return memfd_create("actor", 0);
}

int copy_all(int from, int to)
{
	static char buffer[1 << 16];
	off_t at = 0;

	for (;;) {
		ssize_t got = pread(from, buffer, sizeof buffer, at);
		if (got <= 0)
			return said(got);
		if (pwrite(to, buffer, got, at) != got)
			return ENOSPC;
		at += got;
	}
}

/* `key=value`: the value if the key fits. */
static const char *value_of(const char *argument, const char *key)
{
	size_t length = strlen(key);

	return strncmp(argument, key, length) || argument[length] != '=' ? NULL : argument + length + 1;
}

static int read_acts(int count, char **arguments, struct act *acts, int most, struct page *page)
{
	int number = -1;

	for (int i = 0; i < count; i++) {
		const char *value;

		if ((value = value_of(arguments[i], "do"))) {
			if (number >= 0)
				acts[number].rest = arguments + i;
			if (++number == most)
				return -1;
			acts[number] = (struct act){ .way = find_way(value), .page = page, .fd = -1, .fd2 = -1 };
			if (!acts[number].way)
				return -1;
			continue;
		}
		if (number < 0)
			return -1;
		struct act *act = &acts[number];
		if ((value = value_of(arguments[i], "path")))
			act->path = value;
		else if ((value = value_of(arguments[i], "to")))
			act->to = value;
		else if ((value = value_of(arguments[i], "other")))
			act->other = atoi(value);
		else if ((value = value_of(arguments[i], "numbers")))
			sscanf(value, "%ld,%ld,%ld,%ld", &act->number[0], &act->number[1], &act->number[2], &act->number[3]);
		else if ((value = value_of(arguments[i], "argument"))) {
			if (act->argument_count == MAX_ARGUMENTS)
				return -1;
			act->arguments[act->argument_count++] = value;
		} else
			return -1;
	}
	return number + 1;
}

static void leave(struct page *page, int state, int index, int error)
{
	page->index = index;
	page->error = error;
	__sync_synchronize();
	page->state = state;
	_exit(0);
}

int open_label(int proc, const char *attribute)
{
	char name[64];

	snprintf(name, sizeof name, "self/attr/%s", attribute);
	int fd = openat(proc, name, O_WRONLY | O_CLOEXEC);

	close(proc);
	return fd;
}

int take_label(int fd, const char *text)
{
	ssize_t length = strlen(text);
	int error = write(fd, text, length) == length ? 0 : errno;

	close(fd);
	return error;
}

/* The actor: argument 0 is the number of the shared page's descriptor. */
int perform(int count, char **arguments)
{
	enum { MOST = 16 };
	static struct act acts[MOST];
	struct page *page;
	int fd, label_fd = -1;
	const char *label = getenv("LABEL"), *attribute = getenv("ATTRIBUTE"), *proc = getenv("PROC");

	if (count < 2)
		return 2;
	fd = atoi(arguments[0]);
	page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return 2;
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	if (label && attribute && proc && (label_fd = open_label(atoi(proc), attribute)) < 0)
		leave(page, UNPREPARED, 0, errno);
	int number = read_acts(count - 1, arguments + 1, acts, MOST, page);
	if (number <= 0)
		leave(page, UNPREPARED, 0, EINVAL);
	for (int i = 0; i < number; i++) {
		acts[i].page_number = arguments[0];
		int error = acts[i].way->prepare ? acts[i].way->prepare(&acts[i]) : 0;
		if (error)
			leave(page, UNPREPARED, i, error);
	}
	page->state = READY;
	while (page->state != GO)
		usleep(200);
	if (label_fd >= 0) {
		int error = take_label(label_fd, label);
		if (error)
			leave(page, UNPREPARED, -1, error);
	}
	for (int i = 0; i < number; i++) {
		int error = acts[i].way->perform(&acts[i]);
		if (error)
			leave(page, DONE, i, error);
	}
	leave(page, DONE, number - 1, 0);
	return 0;
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "--stage"))
		return stage(count - 2, arguments + 2);
	if (count > 1 && !strcmp(arguments[1], "--act"))
		return perform(count - 2, arguments + 2);
	if (count > 1 && !strcmp(arguments[1], "--ways")) {
		for (size_t i = 0; i < sizeof all_ways / sizeof *all_ways; i++)
			for (const struct way *way = all_ways[i]; way->name; way++)
				puts(way->name);
		return 0;
	}
	return EXECUTED;
}
