# Profile intervals of correlations by root finding, with lme4's own deviance function.
#
# confint(method = "profile") interpolates a profile that it follows in coarse steps; for the
# correlations of the three-by-three terms of the Machines models its ends miss the quantile by up
# to a unit of zeta. Here the deviance function that lmer() minimizes (devFunOnly = TRUE) is
# minimized again with the correlation held exactly, from several starts, and the ends are the
# roots of zeta(rho) = -+1.96.
#
# Rscript exact.R > exact.json   (run in tests/reference/profile; R 4.2.2, lme4 1.1-31, about a minute)

suppressPackageStartupMessages(library(lme4))
data <- read.csv("../data/machines.csv", stringsAsFactors = TRUE, colClasses = c(Worker = "factor"))
q <- qnorm(0.975)

# theta of a 3 x 3 term whose first two effects (of the permuted order) have correlation rho
theta_of <- function(par, rho, order) {
  sd <- exp(par[1:3])
  a <- tanh(par[4]); b <- tanh(par[5])           # partial correlations of the third effect
  r13 <- a
  r23 <- rho * r13 + b * sqrt((1 - rho^2) * (1 - r13^2))
  R <- matrix(c(1, rho, r13, rho, 1, r23, r13, r23, 1), 3)
  S <- diag(sd) %*% R %*% diag(sd)
  S[order, order] <- S
  L <- t(chol(S + 1e-14 * diag(diag(S))))
  L[lower.tri(L, diag = TRUE)]
}

profiled <- function(dev, rho, order, starts) {
  best <- Inf
  for (start in starts) {
    f <- function(p) tryCatch(dev(theta_of(p, rho, order)), error = function(e) 1e10)
    o <- optim(start, f, method = "Nelder-Mead", control = list(maxit = 3000, reltol = 1e-14))
    o <- nlminb(o$par, f, control = list(rel.tol = 1e-14, iter.max = 2000, eval.max = 4000))
    if (o$objective < best) { best <- o$objective; at <- o$par }
  }
  list(value = best, par = at)
}

intervals <- function(formula, effects) {
  fit <- lmer(formula, data, REML = FALSE, control = lmerControl(check.conv.singular = "ignore"))
  dev <- lmer(formula, data, REML = FALSE, devFunOnly = TRUE)
  low <- nlminb(getME(fit, "theta"), dev, lower = getME(fit, "lower"), control = list(rel.tol = 1e-15))
  L <- matrix(0, 3, 3); L[lower.tri(L, diag = TRUE)] <- low$par
  C <- cov2cor(L %*% t(L)); sd <- sqrt(diag(L %*% t(L)))
  out <- list()
  for (pair in list(c(1, 2), c(1, 3), c(2, 3))) {
    order <- c(pair, setdiff(1:3, pair))
    r <- C[order, order]
    b <- (r[2, 3] - r[1, 2] * r[1, 3]) / sqrt((1 - r[1, 2]^2) * (1 - r[1, 3]^2))
    centre <- c(log(sd[order]), atanh(r[1, 3]), atanh(max(min(b, 0.999), -0.999)))
    starts <- list(centre, centre * c(1, 1, 1, 0, 0), centre * c(1, 1, 1, 1, -1))
    excess <- function(rho) profiled(dev, rho, order, starts)$value - low$objective - q^2
    lower <- uniroot(excess, c(-0.9999, C[pair[1], pair[2]]), tol = 1e-7)$root
    upper <- uniroot(excess, c(C[pair[1], pair[2]], 0.9999), tol = 1e-7)$root
    name <- sprintf("cor_%s.%s|Worker", effects[pair[2]], effects[pair[1]])
    out[[name]] <- c(lower, upper)
  }
  out
}

models <- list(
  machines_slopes = intervals(score ~ Machine + (Machine | Worker), c("(Intercept)", "MachineB", "MachineC")),
  machines_cellmeans = intervals(score ~ Machine + (0 + Machine | Worker), c("MachineA", "MachineB", "MachineC"))
)

cat("{\n")
for (m in names(models)) {
  rows <- models[[m]]
  cat(sprintf('  "%s": {\n', m))
  for (r in names(rows))
    cat(sprintf('    "%s": [%.9f, %.9f]%s\n', r, rows[[r]][1], rows[[r]][2], if (r == tail(names(rows), 1)) "" else ","))
  cat(if (m == tail(names(models), 1)) "  }\n" else "  },\n")
}
cat("}\n")
