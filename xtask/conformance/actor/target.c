/* The least program that shows that it was executed: it exits with EXECUTED (77). It needs no
 * interpreter, and can be given to the dynamic loader. */
void _start(void)
{
	__asm__ volatile("syscall" : : "a"(231), "D"(77));
	__builtin_unreachable();
}
