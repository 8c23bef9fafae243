# Power by simulation with lme4 and lmerTest, for power.json beside this script: responses drawn at
# assumed parameters in smaller, larger and unbalanced versions of the sleep study.
# Rscript power.R > power.json
suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
nsim <- 1000
full <- lme4::sleepstudy
extended <- function(d, n) {
  # new subjects copy the rows of existing ones in rotation
  levels <- levels(droplevels(d$Subject))
  source <- levels[(seq_len(n) - 1) %% length(levels) + 1]
  pieces <- lapply(seq_len(n), function(i) {
    piece <- d[d$Subject == source[i], ]
    piece$Subject <- sprintf("s%03d", i)
    piece
  })
  d <- do.call(rbind, pieces)
  d$Subject <- factor(d$Subject)
  d
}
sparse <- full[(seq_len(nrow(full)) * 7) %% 10 < 6 & !(as.integer(full$Subject) %% 3 == 0 & full$Days > 4), ]
fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), full)
theta <- getME(fit, "theta")
draws <- function(d, beta, sd_days, seed) {
  # the correlation of the fit stays, the standard deviation of the slopes is set
  V <- VarCorr(fit)$Subject
  sd <- c(attr(V, "stddev")[1], sd_days)
  S <- attr(V, "correlation") * outer(sd, sd)
  L <- t(chol(S / sigma(fit)^2))
  set.seed(seed)
  as.matrix(simulate(~ Days + (Days | Subject), newdata = d, nsim = nsim, family = gaussian,
                     newparams = list(beta = unname(beta), theta = L[lower.tri(L, TRUE)], sigma = sigma(fit))))
}
quiet <- function(x) suppressWarnings(suppressMessages(x))
share <- function(p) list(rejected = sum(p < 0.05), n = length(p))
fixed <- function(d, effect, seed) {
  Y <- draws(d, c(fixef(fit)[1], effect), attr(VarCorr(fit)$Subject, "stddev")[2], seed)
  d$y <- Y[, 1]
  large <- quiet(lme4::lmer(y ~ Days + (Days | Subject), d))
  ml <- quiet(refitML(large))
  null <- quiet(lme4::lmer(y ~ 1 + (Days | Subject), d, REML = FALSE))
  p <- sapply(seq_len(nsim), function(i) {
    f <- quiet(refit(large, Y[, i]))
    # refit keeps another response than the data have; lmerTest needs a fit of its own
    d$y <<- Y[, i]
    s <- quiet(lmerTest::lmer(y ~ Days + (Days | Subject), d, start = getME(f, "theta")))
    ll <- quiet(as.numeric(logLik(refit(ml, Y[, i]))) - as.numeric(logLik(refit(null, Y[, i]))))
    c(coef(summary(s))["Days", "Pr(>|t|)"], pchisq(2 * max(ll, 0), 1, lower.tail = FALSE))
  })
  list(satterthwaite = share(p[1, ]), lrt = share(p[2, ]))
}
random <- function(d, sd_days, seed) {
  Y <- draws(d, fixef(fit), sd_days, seed)
  d$y <- Y[, 1]
  large <- quiet(lme4::lmer(y ~ Days + (Days | Subject), d))
  null <- quiet(lme4::lmer(y ~ Days + (1 | Subject), d))
  p <- sapply(seq_len(nsim), function(i) {
    ll <- quiet(as.numeric(logLik(refit(large, Y[, i]))) - as.numeric(logLik(refit(null, Y[, i]))))
    pchisq(2 * max(ll, 0), 2, lower.tail = FALSE)
  })
  list(lrt = share(p))
}
result <- list(
  note = paste("R", getRversion(), "lme4", packageVersion("lme4"), "lmerTest", packageVersion("lmerTest")),
  rows = which(rownames(full) %in% rownames(sparse)),
  smaller = c(list(levels = 9, effect = 5), fixed(extended(full, 9), 5, 1)),
  unbalanced = c(list(levels = 27, effect = 3.5), fixed(extended(sparse, 27), 3.5, 2)),
  random = c(list(sd_days = 2.5), random(full, 2.5, 3))
)
cat(toJSON(result, digits = 15, auto_unbox = TRUE, pretty = TRUE), "\n")
