/* Run a program that cannot make memory executable: what systemd's MemoryDenyWriteExecute= does.
 *
 *     no_new_code PROGRAM [ARGUMENT...]
 *
 * mmap of memory that is writable and executable, and mprotect to executable, end with EPERM (systemd.exec(5)).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The low half of the third argument, on little-endian machines: x86-64 and the Raspberry Pi. */
#define LOAD_PROTECTION BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]))
#define LOAD_NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IF_BIT(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, value, yes, no)

int main(int count, char **arguments)
{
    struct sock_filter filter[] = {
        LOAD_NUMBER,
        IF_EQUAL(SYS_mmap, 0, 4),
        LOAD_PROTECTION,
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
        IF_EQUAL(PROT_WRITE | PROT_EXEC, 4, 0),
        ALLOW,
        IF_EQUAL(SYS_mprotect, 1, 0),
        ALLOW,
        LOAD_PROTECTION,
        IF_BIT(PROT_EXEC, 0, 1),
        DENY,
        ALLOW,
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    if (count < 2)
        return 2;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("no_new_code");
        return 3;
    }
    execvp(arguments[1], arguments + 1);
    perror(arguments[1]);
    return 4;
}
