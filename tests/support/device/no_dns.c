/* Preloaded into a program: no DNS server answers. Addresses and localhost need none. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *address;
    if (name == NULL || strcmp(name, "localhost") == 0) return real(name, service, hints, found);
    if (real(name, NULL, &numeric, &address) != 0) return EAI_AGAIN;
    freeaddrinfo(address);
    return real(name, service, hints, found);
}
