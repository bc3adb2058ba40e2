/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FERRY_CALL_H
#define FERRY_CALL_H

/**
 * @file
 * Calls: interrupts to guests, by the eventfds that their front-ends gave us.
 *
 * A duplicate of a descriptor shares its O_NONBLOCK with the front-end's own, which may clear it
 * and fill the counter; a plain write then waits for ever, and with a worker everybody who waits
 * for that worker.  So the kernel is asked to signal the eventfd as it does for completed requests,
 * which never waits.
 *
 * Threads  any
 * Source   io_submit(2), IOCB_FLAG_RESFD; linux/aio_abi.h
 */

/**
 * Signals an eventfd of a stranger.
 *
 * @param fd  eventfd; -1: nobody wants to be called
 * @cost      one system call
 */
void call_send(int fd);

#endif
