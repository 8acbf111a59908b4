/* Compress stdin with both libraries of the stack and say how well each did. */
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { LIMIT = 1 << 24 };

int main(void)
{
    char *in = malloc(LIMIT);
    size_t size = in ? fread(in, 1, LIMIT, stdin) : 0;
    uLongf zlib_size = compressBound(size);
    int lz4_room = LZ4_compressBound((int)size);
    unsigned char *zlib_out = malloc(zlib_size);
    char *lz4_out = malloc((size_t)lz4_room);
    if (!size || !zlib_out || !lz4_out)
        return 1;
    if (compress(zlib_out, &zlib_size, (unsigned char *)in, size) != Z_OK)
        return 1;
    int lz4_size = LZ4_compress_default(in, lz4_out, (int)size, lz4_room);
    printf("%zu bytes: zlib %s %lu, lz4 %s %d\n", size, zlibVersion(), (unsigned long)zlib_size,
           LZ4_versionString(), lz4_size);
    return lz4_size > 0 ? 0 : 1;
}
