# Exact (restricted) likelihood-ratio tests by RLRsim, for rlrt.json beside this script.
# Rscript rlrt.R [directory of the CSV files] > rlrt.json
suppressMessages({library(lme4); library(RLRsim); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
here <- if (length(args)) args[1] else "../data"
read <- function(name, ...) read.csv(file.path(here, name), ...)
nsim <- 200000
one <- function(test, reml) list(statistic = unname(test$statistic), p = unname(test$p.value))
result <- list(note = paste("RLRsim", packageVersion("RLRsim"), "lme4", packageVersion("lme4"),
                            "nsim", nsim, "seed 1"), nsim = nsim, tests = list())
sleepstudy <- lme4::sleepstudy
weak <- subset(sleepstudy, Days <= 2)
weak$Noise <- weak$Days %% 2
data(Dyestuff, package = "lme4"); data(Dyestuff2, package = "lme4"); data(Pastes, package = "lme4")
d <- Dyestuff
for (shift in c(0, 2)) {
  d$Yield <- Dyestuff$Yield
  half <- d[seq(1 + shift, 30, by = 2), ]
  a <- lmer(Yield ~ 1 + (1 | Batch), half)
  result$tests[[paste0("dyestuff_half_", shift, "_reml")]] <- one(exactRLRT(a, nsim = nsim, seed = 1), TRUE)
  a <- lmer(Yield ~ 1 + (1 | Batch), half, REML = FALSE)
  a0 <- lm(Yield ~ 1, half)
  result$tests[[paste0("dyestuff_half_", shift, "_ml")]] <- one(exactLRT(a, a0, nsim = nsim, seed = 1), FALSE)
}
a <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff)
result$tests$dyestuff_reml <- one(exactRLRT(a, nsim = nsim, seed = 1), TRUE)
a <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE)
result$tests$dyestuff_ml <- one(exactLRT(a, lm(Yield ~ 1, Dyestuff), nsim = nsim, seed = 1), FALSE)
# slope beside an intercept, in the first three days of the sleep study
mA <- lmer(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), weak)
m0 <- lmer(Reaction ~ Days + (1 | Subject), weak)
m <- lmer(Reaction ~ Days + (0 + Days | Subject), weak)
result$tests$sleepstudy_weak_slope_reml <- one(exactRLRT(m, mA, m0, nsim = nsim, seed = 1), TRUE)
# batches beside casks
mA <- lmer(strength ~ 1 + (1 | batch) + (1 | sample), Pastes)
m0 <- lmer(strength ~ 1 + (1 | sample), Pastes)
m <- lmer(strength ~ 1 + (1 | batch), Pastes)
result$tests$pastes_batch_reml <- one(exactRLRT(m, mA, m0, nsim = nsim, seed = 1), TRUE)
cat(toJSON(result, auto_unbox = TRUE, digits = 10, pretty = TRUE), "\n")
