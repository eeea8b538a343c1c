/* Cuts the power of an ext4: what was not synced is gone, every later access fails. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)

int main(int count, char **arguments) {
  uint32_t without_flush = 2;
  int folder = count == 2 ? open(arguments[1], O_RDONLY) : -1;
  if (folder < 0 || ioctl(folder, EXT4_SHUTDOWN, &without_flush) != 0) {
    perror("power");
    return 1;
  }
  return 0;
}
