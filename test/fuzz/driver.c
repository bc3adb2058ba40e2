/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drives a fuzz target without libFuzzer: all inputs of the corpus, then mutations of them, so
 * many or for so long, the same ones for the same seed.
 *
 *   TARGET [-seed=N] [-runs=N] [-seconds=N] FILE|FOLDER...
 *
 * An input that ends the process, or does not end, is left in the file whose name is printed; that
 * file as the only argument runs it again.
 */
#include "fuzz.h"
#include "mutate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

/* No input may take longer, whatever else the machine does. */
#define HANG_S 60

/* Of the runtime of the sanitizers, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*fn)(void));

struct file {
	char *path;
	struct mutate_input input;
};

static struct file *files;
static struct mutate_input *inputs;
static size_t n_files;

static uint64_t seed = 1, runs = UINT64_MAX, seconds;

/* What runs at the moment, for who finds the process dying; a mutation has no path. */
static struct mutate_input now;
static const char *now_path;
static char left_path[PATH_MAX];

/* Signal handlers and dying sanitizers run this: system calls only. */
static void
say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_FAILURE);
}

static void
leave_input(void)
{
	int fd = now_path == NULL && now.data != NULL ?
		 open(left_path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
	bool left = fd >= 0 && write(fd, now.data, now.size) == (ssize_t)now.size;

	say("failing input: ");
	say(now_path != NULL ? now_path : left ? left_path : "not of a file, and not written");
	say("\n");
	now.data = NULL;
}

static void
on_death(int signo)
{
	say(signo == SIGALRM ? "this input does not end\n" : "");
	leave_input();
	signal(signo == SIGALRM ? SIGABRT : signo, SIG_DFL);
	raise(signo == SIGALRM ? SIGABRT : signo);
}

/* What a sanitizer handles is left to it: it tells more, and calls us at its end. */
static void
watch_deaths(void)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM };
	struct sigaction act = { .sa_handler = on_death }, is;

	for (size_t i = 0; i < RTE_DIM(signals); i++)
		if (sigaction(signals[i], NULL, &is) == 0 && is.sa_handler == SIG_DFL)
			sigaction(signals[i], &act, NULL);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(leave_input);
}

static void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void
file_add(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data;

	if (f == NULL || fstat(fileno(f), &st) < 0)
		die(path);
	data = malloc((size_t)st.st_size + 1);
	files = realloc(files, (n_files + 1) * sizeof(*files));
	if (data == NULL || files == NULL || fread(data, 1, (size_t)st.st_size, f) !=
	    (size_t)st.st_size)
		die(path);
	fclose(f);
	files[n_files++] = (struct file){
		.path = strdup(path), .input = { .data = data, .size = (size_t)st.st_size },
	};
}

static void
folder_add(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	char at[PATH_MAX];

	if (n < 0)
		die(path);
	for (int i = 0; i < n; i++) {
		snprintf(at, sizeof(at), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			file_add(at);
		free(entries[i]);
	}
	free(entries);
}

static void
path_add(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		die(path);
	if (S_ISDIR(st.st_mode))
		folder_add(path);
	else
		file_add(path);
}

static void
argument(const char *arg)
{
	unsigned long long n;

	if (sscanf(arg, "-seed=%llu", &n) == 1)
		seed = n;
	else if (sscanf(arg, "-runs=%llu", &n) == 1)
		runs = n;
	else if (sscanf(arg, "-seconds=%llu", &n) == 1)
		seconds = n;
	else
		path_add(arg);
}

static void
run(const struct mutate_input *input, const char *path)
{
	/* A copy of its own, so that reading behind the end is seen. */
	uint8_t *copy = malloc(input->size);

	memcpy(copy, input->data, input->size);
	now = *input;
	now_path = path;
	alarm(HANG_S);
	LLVMFuzzerTestOneInput(copy, input->size);
	alarm(0);
	free(copy);
}

/* A name in front of the first dot is a promise. */
static bool
promise_kept(const char *path)
{
	const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
	size_t len = strcspn(name, ".");

	if (name[len] == '\0')
		return true;
	for (size_t i = 0; i < fuzz_n_names; i++)
		if (fuzz_names[i] != NULL && strlen(fuzz_names[i]) == len &&
		    strncmp(fuzz_names[i], name, len) == 0)
			return (fuzz_reached >> i & 1) != 0;
	return false;
}

static unsigned int
run_corpus(void)
{
	unsigned int failed = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < n_files; i++) {
		fuzz_reached = 0;
		run(&files[i].input, files[i].path);
		all |= fuzz_reached;
		if (!promise_kept(files[i].path)) {
			fprintf(stderr, "%s does not reach what its name says\n", files[i].path);
			failed++;
		}
	}
	for (size_t i = 0; n_files > 1 && i < fuzz_n_names; i++)
		if (fuzz_names[i] != NULL && (all >> i & 1) == 0) {
			fprintf(stderr, "no input of the corpus reaches \"%s\"\n", fuzz_names[i]);
			failed++;
		}
	return failed;
}

static uint64_t
clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

static uint64_t
run_mutations(void)
{
	static uint8_t data[MUTATE_MAX];
	uint64_t end = clock_s() + seconds, i;

	for (i = 0; i < runs && clock_s() < end; i++) {
		struct mutate_input input = { .data = data };

		input.size = mutate(seed + i, inputs, n_files, data);
		run(&input, NULL);
	}
	return i;
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;
	char cwd[PATH_MAX / 2];
	unsigned int failed;

	setlinebuf(stdout);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		die("getcwd");
	snprintf(left_path, sizeof(left_path), "%s/%.64s-failing-%d", cwd, name, (int)getpid());
	for (int i = 1; i < argc; i++)
		argument(argv[i]);
	inputs = calloc(n_files + 1, sizeof(*inputs));
	for (size_t i = 0; inputs != NULL && i < n_files; i++)
		inputs[i] = files[i].input;
	watch_deaths();
	LLVMFuzzerInitialize(&argc, &argv);
	printf("%s: %zu inputs, then mutations for %llu s, seed %llu\n", name, n_files,
	       (unsigned long long)seconds, (unsigned long long)seed);
	failed = run_corpus();
	if (n_files > 0 && seconds > 0)
		printf("%s: %llu mutations\n", name, (unsigned long long)run_mutations());
	printf("%s: %u promises broken\n", name, failed);
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
