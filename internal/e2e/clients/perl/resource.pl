#!/usr/bin/perl
# Resource servers on Mojolicious that accept the access tokens of one issuer, with
# Crypt::JWT and with Mojo::JWT. Neither fetches a key set: it is kept for five
# minutes here, and fetched again for a key that is not there.
use Mojolicious::Lite -signatures;
use Crypt::JWT qw(decode_jwt);
use Mojo::JSON qw(decode_json);
use Mojo::JWT;
use Mojo::Server::Daemon;
use Mojo::UserAgent;
use Mojo::Util qw(b64_decode);

my ($issuer, $audience, @algs) = ($ENV{ISSUER}, $ENV{AUDIENCE}, split(' ', $ENV{ALGS}));
my $ua = Mojo::UserAgent->new(ca => $ENV{CA_FILE}, inactivity_timeout => 0);
my ($keys, $fetched);

sub fetch {
    $keys = $ua->get("$issuer/.well-known/jwks.json")->result->json;
    $fetched = time;
}

sub keys_for ($token) {
    my ($head) = split /\./, $token;
    $head =~ tr{-_}{+/};
    my $header = decode_json(b64_decode $head);
    die "no access token\n" unless ($header->{typ} // '') eq 'at+jwt';
    my $kid = $header->{kid};
    fetch() if !$keys || time - $fetched > 300;
    fetch() unless grep { $_->{kid} eq $kid } @{$keys->{keys}};
    return $keys;
}

sub for_us ($claims) {
    my $aud = $claims->{aud};
    die "for somebody else\n" unless $claims->{iss} eq $issuer && grep { $_ eq $audience } ref $aud ? @$aud : $aud;
    die "bound to a key\n" if exists $claims->{cnf};
    die "expired\n" unless $claims->{exp} && time < $claims->{exp};
}

my %checks = (
    'crypt-jwt' => sub ($token) {
        for_us(decode_jwt(token => $token, kid_keys => keys_for($token), accepted_alg => \@algs, verify_exp => 1));
    },
    # It takes RS256 alone.
    'mojo-jwt' => sub ($token) {
        my $jwt = Mojo::JWT->new(jwks => keys_for($token)->{keys});
        $jwt->decode($token);
        die "the algorithm\n" unless $jwt->algorithm eq 'RS256';
        for_us($jwt->claims);
    },
);

any '/*library' => {library => ''} => sub ($c) {
    my $check = $checks{$c->param('library')};
    my ($token) = ($c->req->headers->authorization // '') =~ /^Bearer (\S+)$/;
    return $c->render(text => 'no token', status => 401) unless $check && $token;
    eval { $check->($token); 1 } or return $c->render(text => "$@", status => 401);
    $c->render(text => 'welcome');
};

app->log->level('error');
# A clock that is set looks like a connection that was silent for hours.
Mojo::Server::Daemon->new(app => app, silent => 1, inactivity_timeout => 0, listen => ["http://$ENV{LISTEN}"])->run;
