#!/usr/bin/perl
# get.pl PORT PATH -- prints the answer to a GET over plain HTTP at 127.0.0.1; a bare Debian has no other client.
use strict;
use warnings;
use IO::Socket::INET;

my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ARGV[0]) or die "port $ARGV[0]: $!\n";
print $socket "GET $ARGV[1] HTTP/1.0\r\nHost: localhost\r\n\r\n";
print while <$socket>;
