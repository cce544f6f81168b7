// Command durability shows that no answer to a produce leaves the broker before what it acknowledges is on disk.
//
//	durability --broker build/millrace
//	durability --broker build/millrace-nosync --expect-violation
//
// Killing a process keeps the kernel's page cache and so proves nothing about a power cut. Here the broker runs under
// strace, which sees each system call begin and end. A producer sends records that carry a mark of their own at both
// ends, over several connections with several requests in flight, with acks=1 and acks=all, in sizes from a hundred
// bytes to most of a megabyte. From the trace then follows for each answer, at the moment when the call that sends it
// begins, whether
//
//   - a write that returned before held the mark, into a file opened with O_DSYNC or O_SYNC (or by pwritev2 with
//     RWF_DSYNC or RWF_SYNC); or
//   - a write that returned before held the mark, and after it an fsync or fdatasync of the file, or a syncfs, began and
//     returned without an error;
//
// and whether the names on the way to that file, as far as the trace saw them made, were synced in their directories.
// Nothing of the broker's own is known here: neither where its log lies nor what it looks like, only that it holds the
// records' bytes as they came.
//
// A broker built with the tag nosync, whose syncs do nothing, must fail the check, or the check shows nothing.
//
// Exit status: 0 as expected, 1 not, 2 the check could not be made.
package main
